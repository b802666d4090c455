#pragma once
#include <stdint.h>

/* The places of these functions in the table are those of the JNI specification. */
typedef void *jclass;
typedef int32_t jint;
typedef int64_t jlong;
typedef const struct JNINativeInterface *JNIEnv;
struct JNINativeInterface {
  void *reserved[6];
  jclass (*FindClass)(JNIEnv *env, const char *name);
  void *others[7];
  jint (*ThrowNew)(JNIEnv *env, jclass thrown, const char *message);
};

#define JNIEXPORT __attribute__((visibility("default")))
#define JNICALL
