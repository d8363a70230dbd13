# SPDX-License-Identifier: LGPL-2.1-or-later
kd_add_command(kd SOURCES kd.c LINK kd-client)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/data/debuggers DESTINATION ${CMAKE_INSTALL_DATADIR}/kdsrv
        FILES_MATCHING PATTERN "*.conf")
