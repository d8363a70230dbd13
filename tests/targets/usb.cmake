# SPDX-License-Identifier: LGPL-2.1-or-later
# The usb target: its parts by themselves, the carrier alone, and the module
if(TARGET kdsrv-target-usb)
  set(usb ${CMAKE_SOURCE_DIR}/targets/usb)
  kd_add_test(test-usb-parts
              SOURCES test-usb-parts.c ${usb}/usb-bootstrap.c ${usb}/usb-framing.c
                      ${usb}/usb-match.c ${usb}/usb-name.c
              LINK kd-link-layer kd-plugin-api PkgConfig::LIBUSB)
  target_include_directories(test-usb-parts PRIVATE ${usb})

  # Devices of umockdev's, which is put before the C library
  if(UMOCKDEV_FOUND)
    add_library(kd-usb-mock STATIC kd-usb-mock.c)
    target_include_directories(kd-usb-mock PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_definitions(kd-usb-mock PRIVATE G_LOG_DOMAIN="kdsrv-test")
    target_link_libraries(kd-usb-mock PUBLIC PkgConfig::UMOCKDEV kd-flags)
    kd_add_test(test-usb-link
                SOURCES test-usb-link.c kd-usb-port.c ${usb}/usb-bootstrap.c ${usb}/usb-bus.c
                        ${usb}/usb-context.c ${usb}/usb-framing.c ${usb}/usb-link.c
                        ${usb}/usb-list.c ${usb}/usb-match.c ${usb}/usb-name.c ${usb}/usb-pipe.c
                        ${usb}/usb-sysfs.c ${usb}/usb-unit.c
                LINK kd-usb-mock kd-link-layer kd-plugin-support kd-test-host PkgConfig::LIBUSB
                ENVIRONMENT LD_PRELOAD=libumockdev-preload.so.0 TIMEOUT 60)
    target_include_directories(test-usb-link PRIVATE ${usb})
    kd_add_test(test-usb-session SOURCES test-usb-session.c kd-usb-target.c
                LINK kd-usb-mock kd-sim kd-debugger kd-test-host
                ENVIRONMENT LD_PRELOAD=libumockdev-preload.so.0 TIMEOUT 120)
    add_dependencies(test-usb-session kdsrv-target-usb)
  endif()
endif()
