SUMMARY = "1-Wire temperature sensors through the kernel's files"
HOMEPAGE = "https://github.com/timofurrer/w1thermsensor"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

# no SRC_URI[sha256sum] yet: bitbake prints the one of the archive that pypi.bbclass names
inherit pypi setuptools3

PYPI_PACKAGE = "w1thermsensor"

# without its command, which nobody calls and which alone needs click
do_install:append() {
    rm -rf ${D}${bindir} ${D}${PYTHON_SITEPACKAGES_DIR}/w1thermsensor/cli.py ${D}${PYTHON_SITEPACKAGES_DIR}/w1thermsensor/__main__.py
}
