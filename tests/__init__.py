"""`core` has to be imported before gRPC, which test programs commonly import first."""

import core  # noqa: F401
