#!/bin/bash -e
# pi-gen: the package from files/, its dependencies from the image's own archive. Nothing is configured or started.
install -m 644 files/sensor-agent_*_all.deb "${ROOTFS_DIR}/tmp/"
if [ -f files/config.toml ]; then
	install -m 644 files/config.toml "${ROOTFS_DIR}/tmp/"
fi
on_chroot <<'CHROOT'
apt-get install -y --no-install-recommends /tmp/sensor-agent_*_all.deb
rm /tmp/sensor-agent_*_all.deb
# I2C and 1-Wire are off in a fresh image; take out what no sensor hangs on
if [ -f /boot/firmware/config.txt ]; then
	grep -qx 'dtparam=i2c_arm=on' /boot/firmware/config.txt || echo 'dtparam=i2c_arm=on' >>/boot/firmware/config.txt
	grep -qx 'dtoverlay=w1-gpio' /boot/firmware/config.txt || echo 'dtoverlay=w1-gpio' >>/boot/firmware/config.txt
fi
# what is the same on all devices; the name is made from each board's serial number
if [ -f /tmp/config.toml ]; then
	install -D -m 644 /tmp/config.toml /etc/sensor-agent/config.toml
	rm /tmp/config.toml
fi
CHROOT
