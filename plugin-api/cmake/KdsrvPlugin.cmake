# SPDX-License-Identifier: LGPL-2.1-or-later
# kdsrv_add_plugin(transport|target SCHEME SOURCES file... [LINK library...])
function(kdsrv_add_plugin kind scheme)
  cmake_parse_arguments(plugin "" "" "SOURCES;LINK" ${ARGN})
  set(name kdsrv-${kind}-${scheme})
  add_library(${name} MODULE ${plugin_SOURCES})
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins-0)
  target_link_libraries(${name} PRIVATE kd-plugin-api ${plugin_LINK})
endfunction()
