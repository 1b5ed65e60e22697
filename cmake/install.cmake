# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays down: headers, libraries, pkg-config files and the CMake package, whose targets
# are mica::mica (shared where it was built, else static), mica::mica_static, mica::mica_ui, ...
include(CMakePackageConfigHelpers)

set(package_directory "${CMAKE_INSTALL_LIBDIR}/cmake/Mica")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/mica" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "*.def")

if(TARGET cmd_mica)
  install(TARGETS cmd_mica RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  # Its manual page and completions, as the command itself writes them.
  function(mica_install_page folder file)
    list(JOIN ARGN "\" \"" words)
    install(CODE "
      set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder}\")
      file(MAKE_DIRECTORY \"\${folder}\")
      execute_process(COMMAND \"$<TARGET_FILE:cmd_mica>\" \"${words}\"
                      OUTPUT_FILE \"\${folder}/${file}\" RESULT_VARIABLE code)
      if(NOT code EQUAL 0)
        message(WARNING \"mica ${words}: \${code}\")
      endif()")
  endfunction()
  mica_install_page("${CMAKE_INSTALL_MANDIR}/man1" mica.1 manual)
  mica_install_page("${CMAKE_INSTALL_DATADIR}/bash-completion/completions" mica completion bash)
  mica_install_page("${CMAKE_INSTALL_DATADIR}/zsh/site-functions" _mica completion zsh)
  mica_install_page("${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" mica.fish completion fish)
endif()

# The targets are exported under the names <name>_static and <name>_shared; MicaConfig.cmake names the one
# that a program links when it does not care.
foreach(name IN LISTS mica_libraries)
  install(TARGETS ${name}_static EXPORT MicaTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  if(MICA_SHARED)
    install(TARGETS ${name}_shared EXPORT MicaTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  endif()
endforeach()
install(EXPORT MicaTargets NAMESPACE mica:: DESTINATION "${package_directory}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/MicaConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/MicaConfig.cmake" INSTALL_DESTINATION "${package_directory}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/MicaConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/MicaConfig.cmake" "${PROJECT_BINARY_DIR}/MicaConfigVersion.cmake"
        DESTINATION "${package_directory}")

# A prefix that is found from the file itself keeps an installed tree movable.
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
foreach(name IN LISTS mica_libraries)
  set(pc_name ${name})
  set(pc_requires "")
  set(pc_private "${${name}_needs}")
  if(NOT name STREQUAL "mica")
    set(pc_requires "mica = ${PROJECT_VERSION}")
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/mica.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
