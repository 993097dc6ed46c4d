// The vector of the instruction set that this file is compiled for, as `Lanes`; FACEAFFECT_LANES tells whether there
// is one. A kernel is written once over Lanes (and Pairs); without them, it loops over the plain definition.
//
// Every Lanes has `count` floats, `Float`, `Int` (32 bits) and the operations of lanes_avx2.h. `load_32(base, at)`
// reads 4 bytes, `load_64` 8 bytes, at `count` byte offsets, one a lane; `load_triples(p)` reads `count` adjacent 3-byte pixels,
// one a lane, and `triple_bytes` bytes in all; `byte<k>` makes a float of byte k of each lane.
#pragma once

#if defined(FACEAFFECT_ISA_avx512)
#include "lanes_avx512.h"
#include "pairs_x86.h"
#define FACEAFFECT_LANES 1
#elif defined(FACEAFFECT_ISA_avx2)
#include "lanes_avx2.h"
#include "pairs_x86.h"
#define FACEAFFECT_LANES 1
#elif defined(FACEAFFECT_ISA_neon)
#include "lanes_neon.h"
#include "pairs_neon.h"
#define FACEAFFECT_LANES 1
#else
#define FACEAFFECT_LANES 0
#endif
