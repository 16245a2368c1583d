"""Where SLURM, munge and MariaDB keep their files when they are services of this machine, which no test may touch."""

from pathlib import Path

FOLDERS = [
    *("/etc/slurm", "/etc/slurm-llnl", "/etc/munge", "/etc/mysql", "/run/munge", "/run/mysqld", "/run/slurm"),
    *(f"/var/{kind}/{name}" for kind in ("lib", "log", "spool") for name in ("slurm", "slurmd", "slurmctld", "munge")),
    *("/var/lib/mysql", "/var/log/mysql", "/tmp/mysql.sock", "/run/slurmctld.pid", "/run/slurmd.pid"),
]


def service_files() -> set[Path]:
    """All files and folders there."""
    folders = [path for path in map(Path, FOLDERS) if path.exists()]
    return {*folders, *(path for folder in folders for path in folder.rglob("*"))}
