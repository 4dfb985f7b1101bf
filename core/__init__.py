"""The platform that every Portico service is built on. Imports no service.

Importing this package switches gRPC's fork handlers off, for this process and for those that it starts. They run in a
child between fork and exec, restart gRPC's threads there, and crash some children before their program has begun. gRPC
reads the variable once, when it is loaded, so this package has to be imported first; every program of ours begins with
it. See also `core.children`.
"""

import os
import sys

_VARIABLE = "GRPC_ENABLE_FORK_SUPPORT"

if "grpc._cython.cygrpc" in sys.modules and os.environ.get(_VARIABLE) != "0":
    raise ImportError(f"Import core before grpc, or start the process with {_VARIABLE}=0: children would crash.")
os.environ[_VARIABLE] = "0"
