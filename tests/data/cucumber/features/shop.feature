Feature: basket

  Scenario: adds up
    Given 19 and 23
    Then the sum is 42

  Scenario: gives a discount
    Given a price of 100
    Then the price with discount is 80

  Scenario: divides
    When I divide by 0

  @skip
  Scenario: ships to mars
    When I divide by 0

  Scenario: wraps as a gift
    Given some paper
    When I wrap it

  Scenario: writes a card
    Given a card without words

  Scenario Outline: converts
    Then <currency> has a rate

    Examples:
      | currency |
      | EUR      |
      | USD      |

  @hook
  Scenario: counts the pieces
    Given 19 and 23

  Scenario: picks a box
    Given a box

  @flaky
  Scenario: pays the second time
    When I pay
