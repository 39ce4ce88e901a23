//===- HostCheck.cpp - refuse a CPU that cannot run this program, before it can crash -----------------------------------===//
//
// Everything else is compiled for x86-64-v3. This file alone is compiled for plain x86-64 (see CMakeLists.txt) and runs before
// any other constructor, so an older CPU gives one line instead of an illegal instruction.
//===---------------------------------------------------------------------------------------------------------------===//
#include <unistd.h>

[[gnu::constructor(101)]] static void refuseOldCpu() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return;
  static const char message[] = "heddle: this CPU lacks AVX2, FMA or BMI2 (x86-64-v3), which Heddle needs; run it on a CPU of "
                                "2013 (Intel) or 2015 (AMD) or later\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
  _exit(1);
}
