/* The native side of BnnDelegate.java. */
#include <jni.h>
#include <stdint.h>

#include "isa.h"

typedef struct TfLiteDelegate TfLiteDelegate;
TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                              size_t count, void (*report_error)(const char *));
void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate);

JNIEXPORT jlong JNICALL Java_org_kerasbnn_BnnDelegate_create(JNIEnv *env, jclass class);
JNIEXPORT void JNICALL Java_org_kerasbnn_BnnDelegate_destroy(JNIEnv *env, jclass class,
                                                             jlong handle);

/* Why the last one was not created. Java calls `create` under the lock of its class. */
static bnn_error reason;

static void remember(const char *text) { bnn_fail(&reason, "%s", text); }

jlong Java_org_kerasbnn_BnnDelegate_create(JNIEnv *env, jclass class) {
  TfLiteDelegate *delegate = tflite_plugin_create_delegate(NULL, NULL, 0, remember);
  if (!delegate) {
    jclass thrown = (*env)->FindClass(env, "java/lang/IllegalStateException");
    if (thrown) (*env)->ThrowNew(env, thrown, reason.text);
  }
  return (jlong)(intptr_t)delegate;
}

void Java_org_kerasbnn_BnnDelegate_destroy(JNIEnv *env, jclass class, jlong handle) {
  tflite_plugin_destroy_delegate((TfLiteDelegate *)(intptr_t)handle);
}
