/* Which variant of the engine this processor can run, and which compiler made them. */

/* The name of the best variant. */
__attribute__((visibility("default"))) const char *best_variant(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return "avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
    return "baseline";
}

/* Its version decides where products and sums are fused, and so the last bits. */
__attribute__((visibility("default"))) const char *compiler(void) {
#if defined(__clang__)
    return "clang-" __clang_version__;
#else
    return "gcc-" __VERSION__;
#endif
}
