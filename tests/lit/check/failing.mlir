// RUN: heddle-opt %s -heddle-run-checks=ranks=1,3 -split-input-file -verify-diagnostics -o /dev/null
// An expectation that does not hold says where, what was found and what was expected; the test then fails.

func.func @almost() {
  %x = check.input dense<[[2.0, 4.0], [6.0, 8.0]]> : tensor<2x2xf32> -> tensor<?x2xf32>
  %y = heddle.scale %x by 0.5 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  // expected-error@+4 {{'check.expect_almost_eq' failed in exact mathematics on 1 rank: heddle.scale gives 3 at [1, 0], expected 3.5 within 0.25; 2 of 4 elements differ}}
  // expected-error@+3 {{'check.expect_almost_eq' failed in the one arithmetic on 1 rank: heddle.scale gives 3 at [1, 0], expected 3.5 within 0.25; 2 of 4 elements differ}}
  // expected-error@+2 {{'check.expect_almost_eq' failed in exact mathematics on 3 ranks: heddle.scale gives 3 at [1, 0], expected 3.5 within 0.25; 2 of 4 elements differ}}
  // expected-error@+1 {{'check.expect_almost_eq' failed in the one arithmetic on 3 ranks: heddle.scale gives 3 at [1, 0], expected 3.5 within 0.25; 2 of 4 elements differ}}
  check.expect_almost_eq %y is dense<[[1.0, 2.25], [3.5, 3.5]]> : tensor<2x2xf32> within 0.25 : tensor<?x2xf32>
  return
}

// -----

// Of several that fail each is reported.
func.func @bits() {
  %x = check.input dense<[[1.0, -0.0, 0x7FC00000]]> : tensor<1x3xf32> -> tensor<?x3xf32>
  %y = heddle.scale %x by 1.0 : (tensor<?x3xf32>) -> tensor<?x3xf32>
  check.expect_bits %y is dense<[[1.0, -0.0, 0x7FC00000]]> : tensor<1x3xf32> : tensor<?x3xf32>
  // expected-error@+2 {{'check.expect_bits' failed in the one arithmetic on 1 rank: heddle.scale gives -0 (0x80000000) at [0, 1], expected 0 (0x00000000); 1 of 3 elements differ}}
  // expected-error@+1 {{'check.expect_bits' failed in the one arithmetic on 3 ranks: heddle.scale gives -0 (0x80000000) at [0, 1], expected 0 (0x00000000); 1 of 3 elements differ}}
  check.expect_bits %y is dense<[[1.0, 0.0, 0x7FC00000]]> : tensor<1x3xf32> : tensor<?x3xf32>
  // expected-error@+2 {{on 1 rank: heddle.scale gives 1 (0x3F800000) at [0, 0], expected 1.00000012 (0x3F800001); 2 of 3 elements differ}}
  // expected-error@+1 {{on 3 ranks: heddle.scale gives 1 (0x3F800000) at [0, 0], expected 1.00000012 (0x3F800001); 2 of 3 elements differ}}
  check.expect_bits %y is dense<[[0x3F800001, -0.0, 0x7FC00001]]> : tensor<1x3xf32> : tensor<?x3xf32>
  return
}

// -----

// A NaN is near a NaN and nothing else.
func.func @nan() {
  %x = check.input dense<[[0x7FC00000, 1.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
  %y = heddle.add %x, %x : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  check.expect_almost_eq %y is dense<[[0x7FC00000, 2.0]]> : tensor<1x2xf32> within 0.0 : tensor<?x2xf32>
  // expected-error@+2 {{on 1 rank: heddle.add gives nan at [0, 0], expected 2 within 1000; 1 of 2 elements differ}}
  // expected-error@+1 {{on 3 ranks: heddle.add gives nan at [0, 0], expected 2 within 1000; 1 of 2 elements differ}}
  check.expect_almost_eq %y is dense<[[2.0, 2.0]]> : tensor<1x2xf64> within 1000.0 in exact : tensor<?x2xf32>
  // expected-error@+2 {{on 1 rank: heddle.add gives 2 at [0, 1], expected nan within 1000; 1 of 2 elements differ}}
  // expected-error@+1 {{on 3 ranks: heddle.add gives 2 at [0, 1], expected nan within 1000; 1 of 2 elements differ}}
  check.expect_almost_eq %y is dense<[[0x7FC00000, 0x7FC00000]]> : tensor<1x2xf32> within 1000.0 in one : tensor<?x2xf32>
  return
}

// -----

func.func @two_values() {
  %x = check.input dense<[[1.0, 3.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
  %y = heddle.scale %x by 2.0 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %z = heddle.add %x, %x : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  check.expect_eq %y, %z : tensor<?x2xf32>, tensor<?x2xf32>
  // expected-error@+2 {{'check.expect_eq' failed in the one arithmetic on 1 rank: heddle.scale gives 2 (0x40000000) at [0, 0], expected 1 (0x3F800000); 2 of 2 elements differ}}
  // expected-error@+1 {{'check.expect_eq' failed in the one arithmetic on 3 ranks: heddle.scale gives 2 (0x40000000) at [0, 0], expected 1 (0x3F800000); 2 of 2 elements differ}}
  check.expect_eq %y, %x in one : tensor<?x2xf32>, tensor<?x2xf32>
  return
}

// -----

func.func @other_shape() {
  %x = check.input dense<[[1.0, 3.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
  %y = heddle.scale %x by 2.0 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  // expected-error@+2 {{on 1 rank: heddle.scale gives 1x2 elements where 2x2 are expected}}
  // expected-error@+1 {{on 3 ranks: heddle.scale gives 1x2 elements where 2x2 are expected}}
  check.expect_almost_eq %y is dense<1.0> : tensor<2x2xf32> within 1.0 in exact : tensor<?x2xf32>
  return
}

// -----

// The seed of a product whose share never became whole: NaN, on more ranks than one.
func.func @lost_share() {
  %x = check.input dense<[[2.0, 3.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
  %w = heddle.get @w : tensor<32x2xf32>
  %b, %e = heddle.share 2
  %y = heddle.linear %x weights(%w) shares(%b, %e) : (tensor<?x2xf32>, tensor<32x2xf32>, index, index) -> tensor<?x32xf32, #heddle.shard<columns, 16>>
  // expected-error@+1 {{'check.expect_almost_eq' failed in exact mathematics on 3 ranks: heddle.linear gives nan at [0, 0], expected 5 within 0; 32 of 32 elements differ}}
  check.expect_almost_eq %y is dense<5.0> : tensor<1x32xf32> within 0.0 in exact : tensor<?x32xf32, #heddle.shard<columns, 16>>
  return
}
heddle.weight @w : tensor<32x2xf32>
check.weight @w dense<1.0> : tensor<32x2xf32>

// -----

// What the interpreter cannot run it says at the op.
func.func @no_positions() {
  %x = check.input dense<[[1.0, 3.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
  // expected-error@+2 {{'heddle.rope' op on rank 0 of 1: this run has no batch with positions}}
  // expected-error-re@+1 {{'heddle.rope' op on rank {{[0-2]}} of 3: this run has no batch with positions}}
  %y = heddle.rope neox %x table @table heads 1 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  check.expect_eq %y, %y : tensor<?x2xf32>, tensor<?x2xf32>
  return
}
heddle.rope_table @table base 10000.0 dims 2 scale 1.0

// -----

// A file that expects nothing tests nothing.
// expected-error@+1 {{no function here expects anything: a test needs check.expect_… ops}}
module {
  func.func @nothing() {
    %x = check.input dense<[[1.0, 3.0]]> : tensor<1x2xf32> -> tensor<?x2xf32>
    return
  }
}
