# SPDX-License-Identifier: LGPL-2.1-or-later
# kdsrv_add_plugin(transport|target SCHEME SOURCES file... [LINK library...]
#                  [OUTPUT_DIRECTORY folder] [COMPONENT name] [NO_INSTALL])
#
# The one way to build a plugin, in this tree and out of it: the module kdsrv-KIND-SCHEME.so, which
# exports its descriptor and nothing else, in the folder plugins-0 of the build tree. It is also the
# name of the target. COMPONENT is for a module that is packaged apart, for what it needs.
# NO_INSTALL is for modules that only tests load.
function(kdsrv_add_plugin kind scheme)
  cmake_parse_arguments(plugin "NO_INSTALL" "OUTPUT_DIRECTORY;COMPONENT" "SOURCES;LINK" ${ARGN})
  if(NOT kind MATCHES "^(transport|target)$")
    message(FATAL_ERROR "kdsrv_add_plugin: `${kind}` is neither transport nor target")
  endif()
  if(NOT scheme MATCHES "^[a-z0-9]+$")
    message(FATAL_ERROR "kdsrv_add_plugin: scheme `${scheme}` is not lower case letters and digits")
  endif()
  if(NOT plugin_SOURCES)
    message(FATAL_ERROR "kdsrv_add_plugin: ${kind} ${scheme} has no SOURCES")
  endif()
  if(plugin_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "kdsrv_add_plugin: unknown argument: ${plugin_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT plugin_OUTPUT_DIRECTORY)
    set(plugin_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins-0)
  endif()

  set(name kdsrv-${kind}-${scheme})
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/kdsrv-plugin.map)
  add_library(${name} MODULE ${plugin_SOURCES})
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX .so
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${plugin_OUTPUT_DIRECTORY} LINK_DEPENDS ${map})
  target_compile_definitions(${name} PRIVATE G_LOG_DOMAIN="kdsrv-${scheme}")
  target_link_options(${name} PRIVATE -Wl,--version-script=${map})
  target_link_libraries(${name} PRIVATE kdsrv::plugin-api ${plugin_LINK})
  if(TARGET kd-flags)
    target_link_libraries(${name} PRIVATE kd-flags)
  endif()
  if(NOT plugin_NO_INSTALL)
    if(NOT plugin_COMPONENT)
      set(plugin_COMPONENT Unspecified)
    endif()
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kdsrv/plugins-0
            COMPONENT ${plugin_COMPONENT})
  endif()
endfunction()
