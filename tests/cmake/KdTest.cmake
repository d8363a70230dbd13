# SPDX-License-Identifier: LGPL-2.1-or-later
# kd_add_test(NAME SOURCES file... [LINK target...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...])
#
# A GLib test program, and one ctest entry for each of its cases: the program is asked for them
# (-l) when ctest starts, so a case that is skipped is counted as skipped and one that is added
# needs no line here.
set(KD_TEST_MODULE_DIR ${CMAKE_CURRENT_LIST_DIR})

function(kd_add_test name)
  cmake_parse_arguments(test "" "TIMEOUT" "SOURCES;LINK;ENVIRONMENT" ${ARGN})
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 30)
  endif()
  if(KD_SANITIZE)
    math(EXPR test_TIMEOUT "${test_TIMEOUT} * 3")
  endif()
  add_executable(${name} ${test_SOURCES})
  target_compile_definitions(${name} PRIVATE G_LOG_DOMAIN="kdsrv-test")
  target_link_libraries(${name} PRIVATE kd-flags ${test_LINK})
  set(environment
    G_DEBUG=fatal-warnings MALLOC_PERTURB_=165
    G_TEST_SRCDIR=${CMAKE_CURRENT_SOURCE_DIR} G_TEST_BUILDDIR=${CMAKE_CURRENT_BINARY_DIR}
    KD_BINDIR=${CMAKE_BINARY_DIR}/bin KD_PLUGINDIR=${CMAKE_BINARY_DIR}/plugins-0
    ${test_ENVIRONMENT})
  set(script ${CMAKE_CURRENT_BINARY_DIR}/${name}-cases.cmake)
  file(GENERATE OUTPUT ${script} CONTENT
"execute_process(COMMAND \"$<TARGET_FILE:${name}>\" -l OUTPUT_VARIABLE cases RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  add_test(${name}-is-not-built false)
  return()
endif()
string(REGEX MATCHALL \"(^|\\n)/[^\\n]+\" cases \"\${cases}\")
foreach(case IN LISTS cases)
  string(STRIP \"\${case}\" case)
  add_test(\"${name}:\${case}\" \"$<TARGET_FILE:${name}>\" --tap -p \"\${case}\")
  set_tests_properties(\"${name}:\${case}\" PROPERTIES
    TIMEOUT ${test_TIMEOUT} SKIP_REGULAR_EXPRESSION \"# SKIP\" ENVIRONMENT [==[${environment}]==])
endforeach()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${script})
endfunction()
