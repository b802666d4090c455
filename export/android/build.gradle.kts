// A library module: `include(":keras_bnn")` it in an app's settings.gradle.kts.
plugins {
    id("com.android.library")
}

android {
    namespace = "org.kerasbnn"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        ndk {
            abiFilters += "arm64-v8a"
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

dependencies {
    // The app brings the LiteRT that it runs on.
    compileOnly("com.google.ai.edge.litert:litert:1.4.2")
}
