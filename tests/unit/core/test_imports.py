"""The arrows between modules that `.importlinter` has no contract for."""

from graphlib import TopologicalSorter

import grimp


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also not for types alone: services.rag.ports and services.rag.domain.files.records did."""
    graph = grimp.build_graph("core", "services", "tools", "tests", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the cycle
