// RUN: heddle-opt %s -heddle-lower-dot=target=x86-64-v4+vnni | FileCheck %s --check-prefix=VNNI
// RUN: heddle-opt %s -heddle-lower-dot=target=x86-64-v3+vnni | FileCheck %s --check-prefix=VNNI256
// RUN: heddle-opt %s -heddle-lower-dot=target=x86-64-v4 | FileCheck %s --check-prefix=AVX512
// RUN: heddle-opt %s -heddle-lower-dot=target=x86-64-v3 | FileCheck %s --check-prefix=AVX2
// RUN: heddle-opt %s -heddle-lower-dot=target=plain | FileCheck %s --check-prefix=PLAIN

// VNNI-LABEL: func.func @nibbles
// VNNI-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// 16 lanes are two registers of AVX-VNNI.
// VNNI256-LABEL: func.func @nibbles
// VNNI256-COUNT-4: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
//   VNNI256-NOT: llvm.call_intrinsic
//       VNNI256: vector.shuffle {{.*}} : vector<8xi32>, vector<8xi32>
// AVX512-LABEL: func.func @nibbles
// AVX512-COUNT-2: "llvm.x86.avx512.pmaddubs.w.512"
// 4-bit codes leave room in i16 for both quads: one widening for the two.
//       AVX512: arith.addi {{.*}} : vector<32xi16>
//       AVX512: "llvm.x86.avx512.pmaddw.d.512"
//   AVX512-NOT: pmaddw.d
// AVX2-LABEL: func.func @nibbles
//       AVX2: "llvm.x86.avx2.pmadd.ub.sw"
// PLAIN-LABEL: func.func @nibbles
//   PLAIN-NOT: llvm.call_intrinsic
//       PLAIN: return
func.func @nibbles(%init: vector<16xi32>, %sum: i32, %c: vector<64xi8>, %a: vector<64xi8>) -> vector<16xi32> {
  %0 = heddle.dot %init sum %sum codes(%c, %c) activations(%a, %a) {code_max = 15 : i64}
      : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return %0 : vector<16xi32>
}

// Signed codes: VNNI takes them as unsigned, 128 more, and takes 128 times the activations' sum off again.
// VNNI-LABEL: func.func @bytes
//       VNNI: arith.muli %{{.*}}, %{{.*}} : i32
//       VNNI: arith.xori
//       VNNI: vpdpbusd
// VNNI256-LABEL: func.func @bytes
//       VNNI256: arith.xori
//       VNNI256: vpdpbusd.256
// Without it one factor takes the other's sign, so that the code is unsigned: AVX-512 has no instruction for that.
// AVX512-LABEL: func.func @bytes
//       AVX512: arith.cmpi slt, %arg2
//   AVX512-DAG: arith.subi {{.*}}, %arg3
//   AVX512-DAG: arith.subi {{.*}}, %arg2
//       AVX512: "llvm.x86.avx512.pmaddubs.w.512"
//       AVX512: "llvm.x86.avx512.pmaddw.d.512"
//   AVX512-NOT: vpdpbusd
// PLAIN-LABEL: func.func @bytes
// PLAIN-COUNT-2: arith.extsi {{.*}} : vector<64xi8> to vector<64xi32>
//       PLAIN: arith.muli {{.*}} : vector<64xi32>
// PLAIN-COUNT-4: vector.shuffle
//   PLAIN-NOT: llvm.call_intrinsic
//       PLAIN: return
// AVX2-LABEL: func.func @bytes
//       AVX2: "llvm.x86.avx2.psign.b"
func.func @bytes(%init: vector<16xi32>, %sum: i32, %c: vector<64xi8>, %a: vector<64xi8>) -> vector<16xi32> {
  %0 = heddle.dot %init sum %sum codes(%c) activations(%a) {code_max = 255 : i64, signed_codes}
      : (vector<16xi32>, i32, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  return %0 : vector<16xi32>
}

// Signed codes in pairs: a multiplication each, which widens by itself.
// VNNI-LABEL: func.func @pairs
// VNNI-COUNT-2: "llvm.x86.avx512.vpdpwssd.512"
// VNNI256-LABEL: func.func @pairs
// VNNI256-COUNT-4: "llvm.x86.avx512.vpdpwssd.256"
// AVX512-LABEL: func.func @pairs
// AVX512-COUNT-2: "llvm.x86.avx512.pmaddw.d.512"
//   AVX512-NOT: pmaddw.d
// AVX2-LABEL: func.func @pairs
// AVX2-COUNT-4: "llvm.x86.avx2.pmadd.wd"
//   AVX2-NOT: pmadd.wd
// PLAIN-LABEL: func.func @pairs
//       PLAIN: arith.muli {{.*}} : vector<32xi32>
func.func @pairs(%init: vector<16xi32>, %sum: i32, %c: vector<32xi16>, %a: vector<32xi16>) -> vector<16xi32> {
  %0 = heddle.dot %init sum %sum codes(%c, %c) activations(%a, %a) {code_max = 255 : i64, signed_codes}
      : (vector<16xi32>, i32, vector<32xi16>, vector<32xi16>, vector<32xi16>, vector<32xi16>) -> vector<16xi32>
  return %0 : vector<16xi32>
}

// A register of AVX2 holds the indices of 8 rows.
// VNNI-LABEL: func.func @table
// VNNI: dense<[0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12, 0, 1,
// VNNI-COUNT-1: "llvm.x86.avx512.pshuf.b.512"
// AVX512-LABEL: func.func @table
// AVX512: "llvm.x86.avx512.pshuf.b.512"
// VNNI256-LABEL: func.func @table
// VNNI256-COUNT-2: "llvm.x86.avx2.pshuf.b"
// VNNI256: vector.shuffle {{.*}} : vector<32xi8>, vector<32xi8>
// AVX2-LABEL: func.func @table
// AVX2-COUNT-2: "llvm.x86.avx2.pshuf.b"
// PLAIN-LABEL: func.func @table
// PLAIN-COUNT-15: arith.select
//   PLAIN-NOT: llvm.call_intrinsic
//       PLAIN: return
func.func @table(%i: vector<64xi8>) -> vector<64xi8> {
  %0 = heddle.lookup %i in [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] : vector<64xi8>
  return %0 : vector<64xi8>
}
