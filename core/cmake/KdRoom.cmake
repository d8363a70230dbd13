# SPDX-License-Identifier: LGPL-2.1-or-later
# kd_add_room(NAME SOURCES file... [LINK target...] [PRIVATE_LINK target...])
#
# One static library for each room of core/, named kd-NAME. Its folder is its include directory, so
# what a room may include is what its target links: a wrong #include does not compile.
function(kd_add_room name)
  cmake_parse_arguments(room "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(kd-${name} STATIC ${room_SOURCES})
  target_include_directories(kd-${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(kd-${name} PRIVATE G_LOG_DOMAIN="kdsrv-${name}")
  target_link_libraries(kd-${name} PUBLIC kd-flags ${room_LINK} PRIVATE ${room_PRIVATE_LINK})
endfunction()
