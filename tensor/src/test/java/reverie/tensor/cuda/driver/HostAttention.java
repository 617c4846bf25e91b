// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/** Attention and its gradients by their definitions, one query of one head after the other. */
final class HostAttention {
  private final Dnn.Attention attention;
  private final Dnn.Attended at;
  private final Rows q;
  private final Rows k;
  private final Rows v;

  HostAttention(Dnn.Attention attention, Dnn.Attended at) {
    this.attention = attention;
    this.at = at;
    q = new Rows(at.q(), attention.tq(), attention.qRow(), attention.d());
    k = new Rows(at.k(), attention.tk(), attention.kRow(), attention.d());
    v = new Rows(at.v(), attention.tk(), attention.vRow(), attention.dv());
  }

  /** Where a row of a head begins. */
  private record Rows(long address, int t, int row, int width) {
    double get(int b, int head, int i, int j) {
      return HostDriver.getHalf(address, index(b, head, i, j));
    }

    long index(int b, int head, int i, int j) {
      return ((long) b * t + i) * row + (long) head * width + j;
    }
  }

  private Rows packed(long address, int t, int width) {
    return new Rows(address, t, attention.heads() * width, width);
  }

  void run() {
    for (int b = 0; b < attention.b(); b++) {
      for (int head = 0; head < attention.heads(); head++) {
        if (attention.backward()) {
          backward(b, head);
        } else {
          forward(b, head);
        }
      }
    }
  }

  private double[] scores(int b, int head, int i) {
    double[] scores = new double[attention.tk()];
    for (int j = 0; j < scores.length; j++) {
      for (int c = 0; c < attention.d(); c++) {
        scores[j] += attention.scale() * q.get(b, head, i, c) * k.get(b, head, j, c);
      }
    }
    return scores;
  }

  private long query(int b, int head, int i) {
    return ((long) b * attention.heads() + head) * attention.tq() + i;
  }

  private void forward(int b, int head) {
    Rows y = packed(at.y(), attention.tq(), attention.dv());
    for (int i = 0; i < attention.tq(); i++) {
      double[] scores = scores(b, head, i);
      double sum = 0;
      double[] result = new double[attention.dv()];
      for (int j = 0; j < scores.length; j++) {
        double e = Math.exp(scores[j]);
        sum += e;
        for (int c = 0; c < result.length; c++) {
          result[c] += e * v.get(b, head, j, c);
        }
      }
      for (int c = 0; c < result.length; c++) {
        HostDriver.setHalf(y.address, y.index(b, head, i, c), result[c] / sum);
      }
      HostDriver.set(at.logSumExp(), query(b, head, i), Math.log(sum));
    }
  }

  private void backward(int b, int head) {
    int d = attention.d();
    int dv = attention.dv();
    Rows y = packed(at.y(), attention.tq(), dv);
    Rows dy = packed(at.dy(), attention.tq(), dv);
    double[][] keys = new double[attention.tk()][d];
    double[][] values = new double[attention.tk()][dv];
    for (int i = 0; i < attention.tq(); i++) {
      double[] scores = scores(b, head, i);
      double logSumExp = HostDriver.get(at.logSumExp(), query(b, head, i));
      double[] query = new double[d];
      for (int j = 0; j < scores.length; j++) {
        double p = Math.exp(scores[j] - logSumExp);
        double ds = 0;
        for (int c = 0; c < dv; c++) {
          double gradient = dy.get(b, head, i, c);
          values[j][c] += p * gradient;
          ds += p * gradient * (v.get(b, head, j, c) - y.get(b, head, i, c));
        }
        for (int c = 0; c < d; c++) {
          query[c] += attention.scale() * ds * k.get(b, head, j, c);
          keys[j][c] += attention.scale() * ds * q.get(b, head, i, c);
        }
      }
      set(packed(at.dq(), attention.tq(), d), b, head, i, query);
    }
    for (int j = 0; j < keys.length; j++) {
      set(packed(at.dk(), attention.tk(), d), b, head, j, keys[j]);
      set(packed(at.dv(), attention.tk(), dv), b, head, j, values[j]);
    }
  }

  private static void set(Rows to, int b, int head, int i, double... row) {
    for (int c = 0; c < row.length; c++) {
      HostDriver.setHalf(to.address, to.index(b, head, i, c), row[c]);
    }
  }
}
