// A queue of work on the GPU, marks in it, and recordings of it, each freed with its owner.
#pragma once

#include <cstdint>
#include <memory>

namespace faceaffect {

class Event;

// A recording that is queued as a whole. Whatever it reads and writes must live as long as it does.
class Graph {
 public:
  explicit Graph(void* executable) : executable_(executable) {}
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(void* stream) const;

 private:
  void* executable_;  // cudaGraphExec_t
};

class Stream {
 public:
  Stream();  // waits for no other stream, nor they for it
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void* handle() const { return stream_; }
  void synchronize() const;
  void wait(const Event& event) const;
  // Records what this thread queues instead of running it. Other threads go on undisturbed.
  void begin_capture() const;
  std::unique_ptr<Graph> end_capture() const;
  void abandon_capture() const noexcept;

 private:
  void* stream_ = nullptr;  // cudaStream_t
};

class Event {
 public:
  explicit Event(bool timed);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(void* stream) const;
  void synchronize() const;
  bool is_done() const;
  float elapsed_ms(const Event& later) const;  // both timed and done
  void* handle() const { return event_; }

 private:
  void* event_ = nullptr;  // cudaEvent_t
};

// `stream` goes on once what was queued on `producer` until now is done.
void order_after(void* producer, void* stream);

}  // namespace faceaffect
