"""Models that run in this process, from folders on disk, with onnxruntime. Needs the extra `local`."""
