// What an instrumented program is to pass over; linked into each one, so that it holds under ctest and by
// hand.

// Memory that is not there is a null pointer under a sanitizer too.
#define ESMSCALE_NULL_FOR_NO_MEMORY "allocator_may_return_null=1"

#if defined(__SANITIZE_ADDRESS__)
extern "C" const char* __asan_default_options() {
  return ESMSCALE_NULL_FOR_NO_MEMORY;
}

// The record that LibTorch keeps of collectives now and then loses an entry.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:c10d::FlightRecorder\n";
}
#endif

#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_options() {
  return ESMSCALE_NULL_FOR_NO_MEMORY;
}

// Gloo's and LibTorch's threads wait for each other inside libraries that were not instrumented: what the
// sanitizer says of them is not about this program.
extern "C" const char* __tsan_default_suppressions() {
  return "race:c10d::\n"
         "race:gloo::\n"
         "race:pthread_cond_destroy\n"
         "race:libtorch_cpu.so\n"
         "deadlock:c10::monitor\n";
}
#endif
