#!/usr/bin/env bash
# Builds libkeras_bnn.so for arm64-v8a and Android 8.0 (API 26) or later, where Gradle finds it.
# With the NDK that ANDROID_NDK_HOME names; without one, clang and lld are enough.
# usage: build.sh [FOLDER]
set -euo pipefail
android=$(dirname "$(realpath "$0")")
folder=$(realpath -m "${1:-$android/src/main/jniLibs/arm64-v8a}")
if [ -n "${ANDROID_NDK_HOME:-}" ]; then
  toolchain=$ANDROID_NDK_HOME/build/cmake/android.toolchain.cmake
  options=(-DANDROID_ABI=arm64-v8a -DANDROID_PLATFORM=android-26)
else
  toolchain=$android/without_ndk.cmake
  options=()
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cmake -S "$android/.." -B "$build" -DCMAKE_TOOLCHAIN_FILE="$toolchain" "${options[@]}"
cmake --build "$build" --parallel
cmake --install "$build" --prefix "$folder"
