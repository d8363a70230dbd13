# SPDX-License-Identifier: LGPL-2.1-or-later
# The net target: its parts by themselves, and the module
kd_add_test(test-kdnet-codec SOURCES test-kdnet-codec.c LINK kdnet-codec)
add_library(kd-net-target STATIC kd-net-target.c)
target_include_directories(kd-net-target PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(kd-net-target PRIVATE G_LOG_DOMAIN="kdsrv-test")
target_link_libraries(kd-net-target PUBLIC kdnet-session kd-flags)
foreach(part IN ITEMS parts session)
  kd_add_test(test-kdnet-${part} SOURCES test-kdnet-${part}.c LINK kd-net-target)
endforeach()
