// out[n, c, i, j] = crop[n, c, a, b] + crop[n, c, a, b'] + crop[n, c, a', b'] + crop[n, c, a', b],
// summed in this order: pairs of the first and the second column, then the rows of the second.
// Cells are S / 14 pixels a side, cell (0, 0) of the 12 x 12 grid is the second of the crop; a, b
// lie a quarter of a cell from its start, a', b' as far from its end.
//   crops [N, 3, S, S] normalized, S >= 28;  out float32 [N, 3, 12, 12]
// Computing it on the GPU keeps the crops on the device.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace faceaffect {

constexpr int kAppearanceCellsPerSide = 14;
constexpr int kAppearanceGrid = kAppearanceCellsPerSide - 2;

// `plane` is one channel of one crop, [S, S].
template <typename T>
HOST_DEVICE float portrait_value(const T* plane, int size_px, int i, int j) {
  const int cell = size_px / kAppearanceCellsPerSide;
  const int first = (size_px - cell * kAppearanceCellsPerSide) / 2 + cell;
  const int near_px = cell / 4, far_px = cell - 1 - cell / 4;
  const T* upper =
      plane + static_cast<int64_t>(first + i * cell + near_px) * size_px + first + j * cell;
  const T* lower =
      plane + static_cast<int64_t>(first + i * cell + far_px) * size_px + first + j * cell;
  return ((as_float(upper[near_px]) + as_float(upper[far_px])) + as_float(lower[far_px])) +
         as_float(lower[near_px]);
}

}  // namespace faceaffect
