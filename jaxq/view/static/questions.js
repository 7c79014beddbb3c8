// The quiz's questions: each choice has its explanation; the first choice is the right one.

export const QUESTIONS = [
  ["What does Q(s, a) stand for?", [
    ["The expected discounted return of taking a in s and acting by the policy afterwards", "Yes: the whole future counts, not only the next reward."],
    ["The reward of taking a in s", "That is r. A move that costs now can lead to the goal, so its Q-value can be high."],
    ["The probability that the policy takes a in s", "That is the policy, pi(a | s). Q-values are in units of reward."]]],
  ["Q(s,a) = 0.5, r = 0, gamma = 0.9, max Q(s′,a′) = 1, alpha = 0.1. What is the new value?", [
    ["0.54", "Yes: 0.5 + 0.1 × (0 + 0.9 × 1 − 0.5) = 0.5 + 0.1 × 0.4."],
    ["0.9", "That is the target. With alpha = 0.1 the value moves a tenth of the way to it."],
    ["0.4", "That is the TD error, which alpha scales before it is added."]]],
  ["The episode ends with reward 1. What is the target?", [
    ["1", "Yes: after a terminal state nothing follows, so there is no bootstrap."],
    ["1 + gamma × max Q(s′,a′)", "Nothing is done in a terminal state; bootstrapping from it invents value."],
    ["0", "The bootstrap is 0, the reward still counts."]]],
  ["Why is Q-learning called off-policy?", [
    ["It learns the greedy policy's values while another policy acts", "Yes: the max in the target is greedy whatever epsilon does."],
    ["It learns without acting at all", "That is offline learning: possible with an off-policy method, but another thing."],
    ["It has no policy", "There are two: the one that acts, and the greedy one that is learned."]]],
  ["What does a target network do?", [
    ["It keeps the targets still while the online network moves", "Yes: it is a slower copy, so that the network does not chase itself."],
    ["It chooses the actions in the environment", "The online network does, with exploration."],
    ["It makes the network larger", "It is used for targets only, and is not trained itself."]]],
  ["A DQN updates one state and the values of others move. Why?", [
    ["They share weights", "Yes: that is generalization, and also how an update can do harm elsewhere."],
    ["Replay updates all states at once", "Replay draws a batch. Even a batch of one moves other states."],
    ["The discount is too high", "The discount sets how far ahead counts, not what an update touches."]]],
];
