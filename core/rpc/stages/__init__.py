"""The stages that every call passes before its request is read, in the order that `core.app` gives them."""
