"""The version of Portico that runs. Images hold the code without a distribution that would know it."""

VERSION = "0.1.0"
