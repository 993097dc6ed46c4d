// `Simd`: the vector type of the instruction set that this translation unit is compiled for;
// FACEAFFECT_SIMD is 1 if there is one. Kernels are written once over Simd (and SimdPairwise);
// without them they loop over the scalar definition.
//
// Every Simd has `count` lanes, the types `Float` and `Int` (32 bits) and the operations of
// simd_avx2.h. `load_32(base, at)` gathers 4 bytes and `load_64` 8 bytes at `count` byte offsets;
// `load_triples(p)` loads `count` adjacent 3-byte pixels, one per lane, reading `triple_bytes`
// bytes; `byte<k>` converts byte k of each lane to float.
#pragma once

#if defined(FACEAFFECT_ISA_avx512)
#include "simd_avx512.h"
#include "simd_pairwise_x86.h"
#define FACEAFFECT_SIMD 1
#elif defined(FACEAFFECT_ISA_avx2)
#include "simd_avx2.h"
#include "simd_pairwise_x86.h"
#define FACEAFFECT_SIMD 1
#elif defined(FACEAFFECT_ISA_neon)
#include "simd_neon.h"
#include "simd_pairwise_neon.h"
#define FACEAFFECT_SIMD 1
#else
#define FACEAFFECT_SIMD 0
#endif
