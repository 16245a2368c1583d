"""From the config of a study to the specs of everything that has to be made."""
