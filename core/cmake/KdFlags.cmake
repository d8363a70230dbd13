# SPDX-License-Identifier: LGPL-2.1-or-later
# Language, warnings, hardening: target kd-flags, linked by every room, plugin and test.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
find_package(PkgConfig REQUIRED)
pkg_check_modules(GIO REQUIRED IMPORTED_TARGET GLOBAL gio-2.0>=2.72 gio-unix-2.0 gmodule-no-export-2.0)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(kd-flags INTERFACE)
target_compile_definitions(kd-flags INTERFACE
  _GNU_SOURCE GLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_72 GLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_72)
target_link_libraries(kd-flags INTERFACE PkgConfig::GIO)
target_compile_options(kd-flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion
  -Wvla -Wformat=2 -Werror=format-security -Wpointer-arith -Wwrite-strings -Wundef
  -fno-common -fno-delete-null-pointer-checks -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(KD_WERROR)
  target_compile_options(kd-flags INTERFACE -Werror)
endif()

if(KD_SANITIZE)
  target_compile_options(kd-flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(kd-flags INTERFACE -fsanitize=address,undefined)
else()
  foreach(flag IN ITEMS -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
                        -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "KD_HAS${flag}" known)
    check_c_compiler_flag(${flag} ${known})
    if(${known})
      target_compile_options(kd-flags INTERFACE ${flag})
    endif()
  endforeach()
  if(NOT CMAKE_BUILD_TYPE STREQUAL Debug)
    target_compile_options(kd-flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
endif()
target_link_options(kd-flags INTERFACE
  -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed)
set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
