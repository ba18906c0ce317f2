SUMMARY = "Temperature agent: reads sensors, spools, delivers over mutual TLS"
DESCRIPTION = "Reads DS18B20 and I2C temperature sensors on a fixed grid, spools each reading and delivers it with the \
device's own client certificate. Makes its key and gets its certificate at the first boot."
HOMEPAGE = "https://sensor-agent.example"
SECTION = "console/network"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# where your copy of the sources is, and the commit of the release
SRC_URI = "git://git.example.com/sensor-agent.git;protocol=https;branch=main"
SRCREV = "${AUTOREV}"
S = "${WORKDIR}/git"

inherit python_hatchling systemd useradd

# OE-core has the standard library in pieces, too
RDEPENDS:${PN} += "\
    ca-certificates \
    python3-asyncio \
    python3-core \
    python3-crypt \
    python3-cryptography \
    python3-ctypes \
    python3-datetime \
    python3-difflib \
    python3-email \
    python3-fcntl \
    python3-html \
    python3-io \
    python3-json \
    python3-logging \
    python3-math \
    python3-netclient \
    python3-netserver \
    python3-requests \
    python3-shell \
    python3-smbus2 \
    python3-sqlite3 \
    python3-systemd \
    python3-tenacity \
    python3-threading \
    python3-tomllib \
    python3-urllib3 \
    python3-w1thermsensor \
"

SYSTEMD_SERVICE:${PN} = "\
    sensor-agent.service \
    sensor-agent-clock.service \
    sensor-agent-config.path \
    sensor-agent-enroll.timer \
    sensor-agent-identity.path \
    sensor-agent-renew.timer \
"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system i2c"
USERADD_PARAM:${PN} = "--system --home-dir /var/lib/sensor-agent --no-create-home --shell /bin/false --user-group --groups i2c sensor-agent"

do_install:append() {
    install -d ${D}${systemd_system_unitdir} ${D}${sysconfdir}/sensor-agent/conf.d ${D}${libexecdir} ${D}${nonarch_base_libdir}/udev/rules.d
    install -d -m 0700 ${D}${sysconfdir}/ssl/private
    install -m 0644 ${S}/systemd/*.service ${S}/systemd/*.timer ${S}/systemd/*.path ${D}${systemd_system_unitdir}/
    install -m 0755 ${S}/packaging/bin/sensor-agent-clock ${D}${libexecdir}/sensor-agent-clock
    install -m 0644 ${S}/packaging/debian/sensor-agent.udev ${D}${nonarch_base_libdir}/udev/rules.d/60-sensor-agent.rules
}

FILES:${PN} += "${systemd_system_unitdir} ${nonarch_base_libdir}/udev"
