"""Resource limits of the process: how many files and sockets it may open."""

import resource

_WANTED = 65_536


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one. Many systems begin with 1024, and a stream takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
