"""The chart on a real cluster; `make test-k8s`."""
