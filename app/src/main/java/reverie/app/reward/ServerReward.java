// SPDX-License-Identifier: Apache-2.0
package reverie.app.reward;

import java.time.Duration;

/** A kind of reward that asks a server: the settings of its requests. */
sealed interface ServerReward extends RewardKind
    permits HttpReward.Options, DescribeReward.Options {
  /** Of one attempt. */
  double timeoutSeconds();

  /** Requests under way at once. */
  int parallel();

  /** Before it is given up, at least 1. */
  int attempts();

  /** After the first attempt; it doubles with each. */
  double pauseSeconds();

  /** Environment variable whose value is sent as bearer token; empty for none. */
  String keyVariable();

  /** Requests have a limit each. */
  @Override
  default Duration usualTimeout() {
    return Duration.ofDays(1);
  }

  /** How the server at an address is asked. */
  default Endpoint.Settings endpoint(String url) {
    return new Endpoint.Settings(
        url, timeoutSeconds(), parallel(), attempts(), pauseSeconds(), keyVariable());
  }
}
