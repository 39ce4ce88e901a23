// RUN: heddle-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{'check.weight' op gives the content of @w, which is no heddle.weight of this module}}
check.weight @w dense<1.0> : tensor<32x2xf32>

// -----

heddle.weight @w : tensor<32x2xf16>
// expected-error@+1 {{'check.weight' op needs the elements of 'tensor<32x2xf16>', or the bytes of its rows, tensor<32x4xi8>, not 'tensor<32x2xf32>'}}
check.weight @w dense<1.0> : tensor<32x2xf32>

// -----

heddle.weight @w : tensor<2x64x!heddle.quant<q4_0>>
// expected-error@+1 {{'check.weight' op needs the bytes of its rows, tensor<2x36xi8>, not 'tensor<2x32xi8>'}}
check.weight @w dense<1> : tensor<2x32xi8>

// -----

func.func @f() {
  check.batch {positions = array<i32: 0>}
  // expected-error@-1 {{'check.batch' op is the second one of its function}}
  check.batch {positions = array<i32: 0>}
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{'check.input' op needs dense<…> of f32 or i32, not 'tensor<1x2xf16>'}}
  %x = check.input dense<1.0> : tensor<1x2xf16> -> tensor<?x2xf16>
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{'check.input' op cannot give 'tensor<1x2xf32>' as 'tensor<?x3xf32>'}}
  %x = check.input dense<1.0> : tensor<1x2xf32> -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2xf32>) {
  // expected-error@+1 {{'check.expect_eq' op must stand in a function of one block without arguments and results}}
  check.expect_eq %x, %x : tensor<?x2xf32>, tensor<?x2xf32>
  return
}

// -----

func.func @f() {
  %x = check.input dense<1.0> : tensor<1x2xf32> -> tensor<?x2xf32>
  // expected-error@+1 {{'check.expect_almost_eq' op tolerance must be 0 or more}}
  check.expect_almost_eq %x is dense<1.0> : tensor<1x2xf32> within -1.0 : tensor<?x2xf32>
  return
}

// -----

func.func @f() {
  %x = check.input dense<1.0> : tensor<1x2xf32> -> tensor<?x2xf32>
  // expected-error@+1 {{'check.expect_almost_eq' op expected elements must be dense<…> of f32 or f64, not 'tensor<1x2xi32>'}}
  check.expect_almost_eq %x is dense<1> : tensor<1x2xi32> within 1.0 : tensor<?x2xf32>
  return
}

// -----

func.func @f() {
  %x = check.input dense<1.0> : tensor<1x2xf32> -> tensor<?x2xf32>
  // expected-error@+1 {{'check.expect_bits' op expected elements must be dense<…> of f32, not 'tensor<1x2xf64>'}}
  check.expect_bits %x is dense<1.0> : tensor<1x2xf64> : tensor<?x2xf32>
  return
}

// -----

func.func @f() {
  %x = check.input dense<1.0> : tensor<1x2xf32> -> tensor<?x2xf32>
  // expected-error@+1 {{'check.expect_bits' op expects a shape that its value cannot have: 'tensor<1x3xf32>'}}
  check.expect_bits %x is dense<1.0> : tensor<1x3xf32> : tensor<?x2xf32>
  return
}
