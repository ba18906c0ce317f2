#!/bin/bash -e
# pi-gen: begins this stage with what the one before it made
if [ ! -d "${ROOTFS_DIR}" ]; then
	copy_previous
fi
