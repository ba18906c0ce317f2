#!/bin/bash
# Armbian: userpatches/customize-image.sh, run in the image's chroot; the package (and, if you like, config.toml) is in
# userpatches/overlay, which is mounted at /tmp/overlay.
set -euo pipefail
apt-get install -y --no-install-recommends /tmp/overlay/sensor-agent_*_all.deb
if [ -f /tmp/overlay/config.toml ]; then
    install -D -m 644 /tmp/overlay/config.toml /etc/sensor-agent/config.toml
fi
