# Devices have pages of 4 or 16 KiB.
target_link_options(keras_bnn PRIVATE -Wl,-z,max-page-size=16384)

# Without an NDK, empty functions stand in for Android's libraries while this one is linked.
if(BNN_WITHOUT_NDK)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/bionic/symbols.txt lines REGEX "^[cm] ")
  foreach(library c m)
    set(functions ${lines})
    list(FILTER functions INCLUDE REGEX "^${library} ")
    list(TRANSFORM functions REPLACE "^. ([a-z_]+) .*" ".globl \\1\n.type \\1, %function\n\\1:\n")
    list(JOIN functions "" functions)
    file(CONFIGURE OUTPUT stand_in_${library}.S CONTENT "${functions}\n")
    add_library(${library} SHARED ${CMAKE_CURRENT_BINARY_DIR}/stand_in_${library}.S)
    set_target_properties(${library} PROPERTIES LINKER_LANGUAGE C)
  endforeach()
  target_link_libraries(keras_bnn PRIVATE c)
endif()
