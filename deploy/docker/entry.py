"""The entry of every image: run the service, or one of its operator's commands, that the image is for."""

import os
import runpy

part = os.environ["SERVICE"]
module = "tools.edge_container" if part == "edge" else f"services.{part}"
runpy.run_module(module, run_name="__main__", alter_sys=True)
