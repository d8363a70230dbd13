# SPDX-License-Identifier: LGPL-2.1-or-later
# The net target: its parts by themselves, and the module
kd_add_test(test-kdnet-codec SOURCES test-kdnet-codec.c LINK kdnet-codec)
add_library(kd-net-target STATIC kd-net-target.c)
target_include_directories(kd-net-target PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(kd-net-target PRIVATE G_LOG_DOMAIN="kdsrv-test")
target_link_libraries(kd-net-target PUBLIC kdnet-session kd-flags)
kd_add_test(test-kdnet-parts SOURCES test-kdnet-parts.c LINK kd-net-target)
foreach(part IN ITEMS recovery replay session)
  kd_add_test(test-kdnet-${part} SOURCES test-kdnet-${part}.c kd-net-host.c LINK kd-net-target)
endforeach()

add_library(kd-net-stage STATIC kd-net-stage.c)
target_compile_definitions(kd-net-stage PRIVATE G_LOG_DOMAIN="kdsrv-test")
target_link_libraries(kd-net-stage PUBLIC kd-net-target kd-test-host kd-flags)
foreach(part IN ITEMS ask link)
  kd_add_test(test-kdnet-${part} SOURCES test-kdnet-${part}.c LINK kd-net-stage kd-link-layer
              TIMEOUT 60)
  add_dependencies(test-kdnet-${part} kdsrv-target-net)
endforeach()

kd_add_test(test-kdnet-key-file
            SOURCES test-kdnet-key-file.c ${CMAKE_SOURCE_DIR}/targets/kdnet/kdnet-key-file.c
            LINK kd-test-host kdnet-codec PkgConfig::GNUTLS)

# A recording of a real session, played to the module; its random bytes are the test's own.
kd_add_test(test-kdnet-capture SOURCES test-kdnet-capture.c kd-net-capture.c
            LINK kd-net-stage kd-link-layer PkgConfig::GNUTLS TIMEOUT 60)
set_target_properties(test-kdnet-capture PROPERTIES ENABLE_EXPORTS ON)
add_dependencies(test-kdnet-capture kdsrv-target-net)
