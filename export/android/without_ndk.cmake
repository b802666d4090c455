# A CMake toolchain for arm64-v8a that needs clang and lld alone: `bionic/` stands in for the NDK.
set(BNN_WITHOUT_NDK TRUE)
set(CMAKE_SYSTEM_NAME Android)
set(CMAKE_SYSTEM_VERSION 1) # keeps CMake from looking for an NDK
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

find_program(CMAKE_C_COMPILER NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14
  REQUIRED)
set(CMAKE_ASM_COMPILER ${CMAKE_C_COMPILER})
set(CMAKE_C_COMPILER_TARGET aarch64-linux-android26)
set(CMAKE_ASM_COMPILER_TARGET aarch64-linux-android26)
# The compiler's own headers stay; those of the C library are these.
add_compile_options(-nostdlibinc)
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_LIST_DIR}/bionic/include)
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-fuse-ld=lld -nostdlib")
set(CMAKE_HAVE_LIBC_PTHREAD TRUE) # CMake tries it with more functions than there are here
