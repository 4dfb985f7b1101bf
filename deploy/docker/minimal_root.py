"""Makes a root file system that holds Python and nothing else: `minimal_root.py FOLDER`.

It runs in a build stage, on that stage's own interpreter, and copies the interpreter, the standard library without its
tests and tools, the C libraries that these are linked to, and the certificates of public authorities. No shell, no
package manager.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

USER = 10001
UNUSED = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "site-packages",
          "dist-packages", "__pycache__", "config-*", "*.a")  # fmt: skip
OF_WHEELS = ("libstdc++.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
             "libresolv.so.2", "libm.so.6")  # fmt: skip
"""Libraries that wheels for Linux may expect of every machine."""
MERGED = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main(root: Path) -> None:
    for link, folder in MERGED.items():
        (root / folder).mkdir(parents=True)
        (root / link).symlink_to(folder)
    copy_python(root)
    copy_libraries(root)
    (root / CERTIFICATES.parent.relative_to("/")).mkdir(parents=True)
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    (root / "etc/passwd").write_text(f"portico:x:{USER}:{USER}:Portico:/data:/nonexistent\n")
    (root / "etc/group").write_text(f"portico:x:{USER}:\n")
    for name, mode in (("tmp", 0o1777), ("data", 0o700)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    os.chown(root / "data", USER, USER)


def copy_python(root: Path) -> None:
    """Copy the interpreter and its standard library to the places that they have here, compiled."""
    executable, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    for path in (executable, library):
        (root / path.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(executable, root / executable.relative_to("/"))
    (root / "usr/bin/python").symlink_to(executable)
    copied = root / library.relative_to("/")
    shutil.copytree(library, copied, ignore=shutil.ignore_patterns(*UNUSED))
    compileall.compile_dir(copied, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def copy_libraries(root: Path) -> None:
    """Copy the loader, and into the folder of the C library every library that the interpreter and its modules need."""
    modules = (Path(sysconfig.get_path("platstdlib")) / "lib-dynload").glob("*.so")
    needed: set[str] = set()
    for program in (Path(sys.executable).resolve(), *modules):
        needed |= set(re.findall(r"(/\S+)", output("/usr/bin/ldd", str(program))))
    known = output("/sbin/ldconfig", "-p")
    needed |= {re.search(rf"{re.escape(name)} .*=> (\S+)", known)[1] for name in OF_WHEELS}  # type: ignore[index]
    [libc] = (path for path in needed if Path(path).name == "libc.so.6")
    home = root / Path(os.path.realpath(os.path.dirname(libc))).relative_to("/")
    home.mkdir(parents=True, exist_ok=True)
    for path in map(Path, needed):
        loader = path.name.startswith("ld-linux")
        shutil.copy(path.resolve(), root / "usr/lib64" / path.name if loader else home / path.name)
        if loader and not str(path).startswith("/lib64"):  # other machines than x86-64 have it in /lib
            (root / "usr/lib" / path.name).symlink_to(f"/usr/lib64/{path.name}")


def output(*command: str) -> str:
    """The standard output of a program. Raises CalledProcessError."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  # our own commands


if __name__ == "__main__":
    main(Path(sys.argv[1]))
