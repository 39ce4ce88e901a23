// RUN: not heddle-opt %s -heddle-run-checks -o /dev/null 2>&1 | FileCheck %s
// The line that ir/check/README.md shows: file, place, op, value and expectation.

// CHECK: line.mlir:[[# @LINE + 7]]:3: error: 'check.expect_bits' failed in the one arithmetic on 1 rank: heddle.linear gives 34 (0x42080000) at [1, 0], expected 32 (0x42000000); 1 of 2 elements differ
heddle.weight @w : tensor<1x2xf32>
check.weight @w dense<[[0.5, 4.0]]> : tensor<1x2xf32>
func.func @product() {
  %x = check.input dense<[[1.0, 2.0], [4.0, 8.0]]> : tensor<2x2xf32> -> tensor<?x2xf32>
  %w = heddle.get @w : tensor<1x2xf32>
  %y = heddle.linear %x weights(%w) : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
  check.expect_bits %y is dense<[[8.5], [32.0]]> : tensor<2x1xf32> : tensor<?x1xf32>
  return
}

// RUN: not heddle-opt %s -heddle-run-checks=meaning=both 2>&1 | FileCheck %s --check-prefix=MEANING
// MEANING: error: heddle-run-checks: meaning must be exact or one, not both
