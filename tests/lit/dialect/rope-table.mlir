// RUN: heddle-opt %s | FileCheck %s
// RUN: heddle-opt %s | heddle-opt | FileCheck %s

// Lists keep all digits of their numbers: the tables of a stage that is read back are the same.
// CHECK: heddle.rope_table @r base 1.000000e+04 dims 4 scale 1.000000e+00 factors [1.000000e+00, 0.33333333333333331] long_factors [2.000000e+00, 7.0000000000000009] beyond 64 magnitude 1.190000e+00
heddle.rope_table @r base 1.0e4 dims 4 scale 1.0 factors [1.0, 0.33333333333333331] long_factors [2.0, 7.0000000000000009] beyond 64 magnitude 1.19
