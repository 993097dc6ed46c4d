// Scratch: memory that a kernel borrows for one call and the thread keeps for the next.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faceaffect {

class Scratch {
 public:
  // At least `size` bytes aligned to 64; what an earlier call returned for the same slot is void.
  uint8_t* reserve(int slot, size_t size);

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  static constexpr int kSlots = 2;

 private:
  uint8_t* memory_[kSlots] = {};
  size_t size_[kSlots] = {};
};

Scratch& thread_scratch();

}  // namespace faceaffect
