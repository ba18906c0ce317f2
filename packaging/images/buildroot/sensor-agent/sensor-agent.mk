################################################################################
#
# sensor-agent
#
################################################################################

SENSOR_AGENT_VERSION = 0.1.0
# the sources, unpacked beside the external tree
SENSOR_AGENT_SITE = $(BR2_EXTERNAL_SENSOR_AGENT_PATH)/../sensor-agent
SENSOR_AGENT_SITE_METHOD = local
SENSOR_AGENT_LICENSE = Apache-2.0
SENSOR_AGENT_LICENSE_FILES = LICENSE
SENSOR_AGENT_SETUP_TYPE = hatch
# two pure libraries that Buildroot has not, each a directory of the external tree
SENSOR_AGENT_VENDOR = $(BR2_EXTERNAL_SENSOR_AGENT_PATH)/vendor

define SENSOR_AGENT_INSTALL_VENDOR
	mkdir -p $(TARGET_DIR)/usr/lib/python$(PYTHON3_VERSION_MAJOR)/site-packages
	cp -r $(SENSOR_AGENT_VENDOR)/tenacity $(SENSOR_AGENT_VENDOR)/w1thermsensor \
		$(TARGET_DIR)/usr/lib/python$(PYTHON3_VERSION_MAJOR)/site-packages/
endef
SENSOR_AGENT_POST_INSTALL_TARGET_HOOKS += SENSOR_AGENT_INSTALL_VENDOR

define SENSOR_AGENT_INSTALL_INIT_SYSTEMD
	mkdir -p $(TARGET_DIR)/usr/lib/systemd/system $(TARGET_DIR)/etc/sensor-agent/conf.d
	mkdir -p -m 0700 $(TARGET_DIR)/etc/ssl/private
	$(INSTALL) -m 0644 $(@D)/systemd/*.service $(@D)/systemd/*.timer $(@D)/systemd/*.path \
		$(TARGET_DIR)/usr/lib/systemd/system/
	$(INSTALL) -D -m 0755 $(@D)/packaging/bin/sensor-agent-clock $(TARGET_DIR)/usr/libexec/sensor-agent-clock
	$(INSTALL) -D -m 0644 $(@D)/packaging/debian/sensor-agent.udev \
		$(TARGET_DIR)/usr/lib/udev/rules.d/60-sensor-agent.rules
endef

define SENSOR_AGENT_USERS
	sensor-agent -1 sensor-agent -1 * - - i2c temperature agent
endef

$(eval $(python-package))
