"""`python -m agent.devshield.board ARGS…` is `sensor-agent ARGS…` on a board whose I2C bus is played from files.

Only the ioctl under smbus2 is replaced; the agent above it is the one that runs on a Pi.
"""

import runpy
import sys

from agent.devshield.i2c_wire import I2cWire, install

if __name__ == "__main__":
    install(I2cWire())
    sys.argv[0] = "sensor-agent"
    runpy.run_module("agent", run_name="__main__")
