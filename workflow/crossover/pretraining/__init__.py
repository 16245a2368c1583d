"""Language models that are pretrained here: corpus, objectives, and the baselines they are measured against."""
